// SPDX-License-Identifier: Apache-2.0
// Keeps the list of FT servers up to date: its figures every few seconds, all else when it has changed.
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
    return $('.colo-table[data-live] tr[data-ft-digest]');
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

  // Somebody uses the table: replacing it would close a menu or lose the place of the keyboard.
  function inUse() {
    return $('.colo-table .open, .modal.in').length > 0 || $(document.activeElement).closest('.colo-table').length > 0;
  }

  function replace(html, news) {
    var $page = $('<div>').append($.parseHTML(html));
    ['.colo-summary', '.colo-table[data-live]', '.colo-pages'].forEach(function (part) {
      $(part).html($page.find(part).html() || '');
    });
    $('.colo-live').text(news.join(', '));
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

    function failed() {
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
          return $.get(window.location.href).then(function (html) { replace(html, news || []); });
        }
        return null;
      }).then(answered, failed);
    }

    again();
  }

  $(function () {
    var $table = $('.colo-table[data-live]');
    if ($table.length) {
      keepUpToDate($table.attr('data-live'), $table.attr('data-live-every') * 1000);
    }
  });
}(jQuery));
