// SPDX-License-Identifier: Apache-2.0
// Keeps a page of FT servers up to date: its figures every few seconds, all else when it has changed.
// Nothing is asked while the page is hidden; while the cloud does not answer it is asked less and less often.
(function ($) {
  'use strict';

  var MOST_MS = 60000;

  function byId(rows) {
    var found = {};
    rows.forEach(function (row) { found[row.id] = row; });
    return found;
  }

  function shownRows() {
    return $('[data-live] [data-ft-digest]');
  }

  function showFigures(rows) {
    shownRows().each(function () {
      var $row = $(this);
      var row = rows[$row.data('object-id')];
      $.each(row ? row.figures : {}, function (name, text) {
        $row.find('[data-ft="' + name + '"]').text(text);
      });
    });
  }

  // Names and states of the rows that are no longer as they are shown; null when there are others than are shown.
  function changed(rows, asked) {
    var $shown = shownRows();
    if ($shown.length !== asked.length) {
      return null;
    }
    var news = [];
    var others = false;
    $shown.each(function () {
      var row = rows[$(this).data('object-id')];
      if (!row) {
        others = true;
      } else if (row.digest !== $(this).attr('data-ft-digest')) {
        news.push(row.name + ': ' + row.state);
      }
    });
    return others ? null : news;
  }

  // Somebody uses the page: replacing it would close a menu or lose keyboard focus.
  function inUse() {
    return $('[data-live-part] .open, .modal.in').length > 0 || $(document.activeElement).closest('[data-live-part]').length > 0;
  }

  // The whole page as it is now: jQuery's own requests get a part of it from Horizon's pages with tabs.
  function page() {
    return window.fetch(window.location.href).then(function (answer) { return answer.text(); });
  }

  // Puts the parts of a page, as it is now, in the place of those that are shown; false when it has none.
  function replace(html, news) {
    var $page = $('<div>').append($.parseHTML(html));
    if (!$page.find('[data-live]').length) {
      return false;
    }
    $('[data-live-part]').each(function () {
      $(this).html($page.find('[data-live-part="' + $(this).attr('data-live-part') + '"]').html() || '');
    });
    $('.colo-live').text(news.join(', '));
    return true;
  }

  function isStale(since) {
    $('.colo-stale-note').toggleClass('hidden', !since);
    if (since) {
      $('.colo-stale-since').text(since.toLocaleTimeString(document.documentElement.lang || undefined));
    }
  }

  function keepUpToDate(url, every) {
    var wait = every;
    var known = new Date();

    function again() {
      window.setTimeout(ask, wait);
    }

    function answered() {
      wait = every;
      known = new Date();
      isStale(null);
      again();
    }

    function failed(answer) {
      if (answer && answer.status === 404) {
        window.location.reload(); // the server is gone, or fault tolerant no more: its page says so
        return;
      }
      wait = Math.max(every, Math.min(wait * 2, MOST_MS));
      isStale(known);
      again();
    }

    function ask() {
      if (document.hidden) {
        again();
        return;
      }
      $.getJSON(url).then(function (answer) {
        var rows = byId(answer.rows);
        showFigures(rows);
        var news = changed(rows, answer.rows);
        if ((news === null || news.length) && !inUse()) {
          return page().then(function (html) {
            return replace(html, news || []) || $.Deferred().reject();
          });
        }
        return null;
      }).then(answered, failed);
    }

    again();
  }

  $(function () {
    var $shown = $('[data-live]');
    if ($shown.length) {
      keepUpToDate($shown.attr('data-live'), $shown.attr('data-live-every') * 1000);
    }
  });
}(jQuery));
