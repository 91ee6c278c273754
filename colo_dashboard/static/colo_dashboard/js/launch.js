// SPDX-License-Identifier: Apache-2.0
// In Horizon's dialog that launches servers, FT flavors say so. Without an answer they look as they always do.
(function () {
  'use strict';

  angular.module('colo_dashboard', []).config(['$provide', function ($provide) {
    $provide.decorator(
      'horizon.app.core.openstack-service-api.nova',
      ['$delegate', '$http', '$q', '$window', function (nova, $http, $q, $window) {
        var getFlavors = nova.getFlavors;

        function marks() {
          return $http.get($window.WEBROOT + 'project/fault_tolerance/flavors/').then(
            function (answer) { return answer.data.names; },
            function () { return {}; }
          );
        }

        nova.getFlavors = function (params) {
          return $q.all([getFlavors(params), marks()]).then(function (answers) {
            var listed = answers[0];
            var names = answers[1];
            angular.forEach(listed && listed.data && listed.data.items, function (flavor) {
              flavor.name = names[flavor.id] || flavor.name;
            });
            return listed;
          });
        };
        return nova;
      }]
    );
  }]);
}());
