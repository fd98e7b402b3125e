// The alerts and the dashboard as a mixin, for who does not use the chart. What is under _config may be changed.
{
  _config+:: {
    // What tells the series of the installation from others, such as 'cluster="eu", job="streamkeeper"'. Empty is all of them, each alert
    // then being about one cluster, namespace and job.
    selector: '',
    // Numbers in the rules, by the names that stand behind them there.
    thresholds: {},
    // Names of alerts that are left out.
    disabled: [],
    dashboard: { uid: 'streamkeeper', title: 'streamkeeper' },
  },

  local config = $._config,

  // A threshold stands at the end of a line, with its name behind it.
  local withThreshold(line) =
    local parts = std.split(line, ' # ');
    local known = std.length(parts) == 2 && std.objectHas(config.thresholds, parts[1]);
    if !known then line else
      local words = std.split(parts[0], ' ');
      std.join(' ', words[:std.length(words) - 1] + ['%s' % config.thresholds[parts[1]]]) + ' # ' + parts[1],

  local text = importstr '../helm/streamkeeper/rules/streamkeeper.yaml',
  local lines = std.split(text, '\n'),
  local unknown = [name for name in std.objectFields(config.thresholds) if std.length(std.findSubstr(' # ' + name + '\n', text)) == 0],
  assert unknown == [] : 'no rule has the threshold ' + std.join(', ', unknown),

  // Every brace of an expression opens a selector.
  local scoped(expr) =
    if config.selector == '' then expr
    else std.strReplace(std.strReplace(expr, '{', '{' + config.selector + ', '), ', }', '}'),

  local rules = std.parseYaml(std.join('\n', [withThreshold(line) for line in lines])),

  prometheusAlerts+:: {
    groups: [
      group { rules: [rule { expr: scoped(rule.expr) } for rule in group.rules if !std.member(config.disabled, rule.alert)] }
      for group in rules.groups
    ],
  },

  grafanaDashboards+:: {
    'streamkeeper.json': (import '../helm/streamkeeper/dashboards/streamkeeper.json') + config.dashboard,
  },
}
