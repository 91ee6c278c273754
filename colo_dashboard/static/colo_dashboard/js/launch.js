// SPDX-License-Identifier: Apache-2.0
// Mark FT flavors in the launch dialog; leave all unmarked if the request fails.
(function ($) {
  'use strict';

  var PATIENCE_MS = 5000;

  angular.module('colo_dashboard', []).config(['$provide', function ($provide) {
    $provide.decorator(
      'horizon.app.core.openstack-service-api.nova',
      ['$delegate', '$q', '$window', function (nova, $q, $window) {
        var getFlavors = nova.getFlavors;

        // Not by $http: Horizon shows an error in the dialog whenever one of its answers is refused.
        function names() {
          var url = $window.WEBROOT + 'project/fault_tolerance/flavors/';
          return $q.when($.ajax({url: url, dataType: 'json', timeout: PATIENCE_MS})).then(
            function (answer) { return answer && answer.names || {}; },
            function () { return {}; }
          );
        }

        function mark(answers) {
          var listed = answers[0];
          angular.forEach(listed && listed.data && listed.data.items, function (flavor) {
            flavor.name = answers[1][flavor.id] || flavor.name;
          });
          return listed;
        }

        nova.getFlavors = function (params) {
          // The dialog is the only one that wants no extra specs.
          var launches = params && params.get_extras === false;
          return launches ? $q.all([getFlavors(params), names()]).then(mark) : getFlavors(params);
        };
        return nova;
      }]
    );
  }]);
}(jQuery));
