/** Units of Grafana that are used here. */
export type Unit = 'short' | 's' | 'bytes' | 'Bps' | 'ops' | 'reqps' | 'percentunit' | 'dateTimeFromNow';

export interface Query {
  /** PromQL; `$namespace` and `$job` are variables of every dashboard. */
  readonly expr: string;
  /** Of the series in the legend; Grafana's own notation. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What a reader should see in it. */
  readonly description: string;
  readonly kind: 'stat' | 'timeseries' | 'heatmap';
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width: number;
  readonly stack?: boolean;
  /** From which value on a stat is red; below it is green. `-` before it turns that round. */
  readonly alarm?: number;
  readonly alarmBelow?: number;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;
const HEIGHT = { stat: 4, timeseries: 8, heatmap: 8 } as const;
const COLUMNS = 24;

/** A dashboard in Grafana's JSON model, schema version 39 (Grafana 10.4 and newer). */
export function dashboardJson(dashboard: Dashboard): object {
  const panels: object[] = [];
  let y = 0;
  for (const row of dashboard.rows) {
    panels.push({
      type: 'row',
      title: row.title,
      collapsed: false,
      id: panels.length + 1,
      gridPos: place(0, y, COLUMNS, 1),
      panels: [],
    });
    y += 1;
    let x = 0;
    let tallest = 0;
    for (const panel of row.panels) {
      if (x + panel.width > COLUMNS) {
        y += tallest;
        x = 0;
        tallest = 0;
      }
      panels.push({
        id: panels.length + 1,
        gridPos: place(x, y, panel.width, HEIGHT[panel.kind]),
        ...panelJson(panel),
      });
      x += panel.width;
      tallest = Math.max(tallest, HEIGHT[panel.kind]);
    }
    y += tallest;
  }
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.description,
    tags: ['linuxkit'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: '',
    annotations: { list: [] },
    links: [
      {
        type: 'dashboards',
        title: 'LinuxKit',
        tags: ['linuxkit'],
        asDropdown: true,
        keepTime: true,
        includeVars: true,
      },
    ],
    templating: { list: VARIABLES },
    panels,
  };
}

const VARIABLES = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
  variable('namespace', 'Namespace', 'label_values(linuxkit_operator_build_info, namespace)'),
  variable('job', 'Job', 'label_values(linuxkit_operator_build_info{namespace="$namespace"}, job)'),
];

function variable(name: string, label: string, query: string): object {
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    current: {},
    hide: 0,
  };
}

function place(x: number, y: number, w: number, h: number): object {
  return { x, y, w, h };
}

function panelJson(panel: Panel): object {
  const { kind, unit, alarm, alarmBelow } = panel;
  return {
    type: kind,
    title: panel.title,
    description: panel.description,
    datasource: DATASOURCE,
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource: DATASOURCE,
      editorMode: 'code',
      expr,
      legendFormat: kind === 'heatmap' ? '{{le}}' : legend,
      range: kind !== 'stat',
      instant: kind === 'stat',
      ...(kind === 'heatmap' ? { format: 'heatmap' } : {}),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: unit === 'dateTimeFromNow' ? undefined : 0,
        ...(kind === 'stat'
          ? { color: { mode: 'thresholds' }, thresholds: thresholds(alarm, alarmBelow) }
          : {}),
        custom:
          kind === 'timeseries'
            ? {
                fillOpacity: panel.stack === true ? 40 : 8,
                lineWidth: 1,
                showPoints: 'never',
                stacking: { mode: panel.stack === true ? 'normal' : 'none' },
              }
            : {},
      },
      overrides: [],
    },
    options: OPTIONS[kind],
  };
}

const OPTIONS = {
  stat: {
    colorMode: 'value',
    graphMode: 'none',
    reduceOptions: { calcs: ['lastNotNull'] },
    textMode: 'auto',
  },
  timeseries: {
    legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
  heatmap: {
    calculate: false,
    color: { mode: 'scheme', scheme: 'Blues', steps: 64 },
    yAxis: { unit: 's' },
    legend: { show: true },
    tooltip: { mode: 'single' },
  },
} as const;

function thresholds(alarm: number | undefined, alarmBelow: number | undefined): object {
  const steps =
    alarmBelow === undefined
      ? [{ color: 'green', value: null }, ...(alarm === undefined ? [] : [{ color: 'red', value: alarm }])]
      : [
          { color: 'red', value: null },
          { color: 'green', value: alarmBelow },
        ];
  return { mode: 'absolute', steps };
}
