"""The page of the report, in Jinja's language."""

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fusion benchmark</title><style>
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1300px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; font-size: 13px }
th, td { padding: 3px 8px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { cursor: pointer; background: #f3f3f3 } th:first-child, td:first-child { text-align: left }
tr.trivial td { color: #777; font-style: italic } .published td:first-child, b.published { color: #a03050 }
small { color: #666; display: block } .wide { overflow-x: auto } img { max-width: 100%; display: block }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 1em } figure { margin: 0 }
</style></head><body>
{%- macro cell(found) -%}
{% if found %}<td data-v="{{ found.value }}">{{ found.shown }}<small>{{ found.small }}</small></td>
{%- else %}<td></td>{% endif %}
{%- endmacro %}
<h1>Fusion benchmark</h1>
<p>Means over cases ± standard deviation, in brackets the 95 % interval over patients. Click a heading to sort.
<i>Gray: yardsticks, no methods.</i> <b class="published">Red: images that others published.</b>
<code>:hm</code> is the harmonic mean over sources, <code>:min</code> the source that fares worse. Mean rank: 1 is best;
slices of one patient are averaged first, and each family of metrics has one vote.</p>
{% if overall %}
<h2>Mean rank over all sets</h2><p>{{ overall_told }}</p>
<div class="wide"><table><thead><tr><th>method</th><th>mean rank</th><th>Borda</th>
<th>largest change without one metric</th>{% for name in overall.metrics %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in overall_rows %}<tr><td>{{ row.name }}</td>{{ cell(row.mean) }}
<td>{{ "%.2f" | format(row.borda) }}</td><td>{{ "%g" | format(row.change) }}</td>
{% for value in row.by_metric %}<td>{{ "%.1f" | format(value) }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% if overall_diagram %}<img alt="Critical difference diagram" src="{{ overall_diagram }}">{% endif %}
{% endif %}
{% for section in sections %}
<h2>{{ section.name }}</h2><p>{{ section.about }}</p>
<div class="wide"><table><thead><tr><th>method</th><th>cases</th>
{% for name in section.metrics %}<th>{{ name }}</th>{% endfor %}<th>mean rank</th></tr></thead>
<tbody>{% for row in section.rows %}<tr class="{{ row.kind }}"><td>{{ row.name }}</td><td>{{ row.cases }}</td>
{% for found in row.cells %}{{ cell(found) }}{% endfor %}{{ cell(row.rank) }}</tr>
{% endfor %}</tbody></table></div>
{% if section.diagram %}<img alt="Critical difference diagram" src="{{ section.diagram }}">{% endif %}
<img alt="Box plots" src="{{ section.boxes }}">
<h3>Best and worst case of each method</h3>
<div class="pictures">{% for each in section.extremes %}<figure><figcaption>{{ each.caption }}</figcaption>
<img alt="{{ each.caption }}" src="{{ each.picture }}"></figure>{% endfor %}</div>
{% endfor %}
<h2>Time and memory</h2>
<table><thead><tr><th>method</th><th>seconds</th><th>peak MB of the process</th><th>voxels</th></tr></thead>
<tbody>{% for row in measured %}<tr><td>{{ row.method }}</td><td>{{ "%.4f" | format(row.seconds | float) }}</td>
<td>{{ "%.0f" | format(row.peak_mb | float) }}</td><td>{{ row.size }}</td></tr>{% endfor %}</tbody></table>
<p><small>MedFusion {{ version }}</small></p>
<script>
document.querySelectorAll("th").forEach(th => th.addEventListener("click", () => {
  const table = th.closest("table"), body = table.tBodies[0], n = th.cellIndex;
  const up = th.dataset.up = th.dataset.up === "1" ? "0" : "1";
  const key = row => row.cells[n].dataset.v ?? row.cells[n].textContent;
  const order = (a, b) => {
    const x = parseFloat(key(a)), y = parseFloat(key(b));
    if (isNaN(x) && isNaN(y)) return key(a).localeCompare(key(b));
    return isNaN(x) ? 1 : isNaN(y) ? -1 : x - y;
  };
  [...body.rows].sort((a, b) => (up === "1" ? 1 : -1) * order(a, b)).forEach(row => body.append(row));
}));
</script></body></html>
"""
