package fleet

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

const dashboardFile = "../../etc/grafana/replypath.json"

// dashboard has the parts of a dashboard (schema version 38) that are checked.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ Type, UID string }
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ RefID, Expr, LegendFormat string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardIsWellFormed(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion != 38 || len(d.Panels) < 10 {
		t.Errorf("%q %q, schema %d, %d panels", d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	known := regexp.MustCompile("^(stat|timeseries|state-timeline)$")
	cells, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || !known.MatchString(p.Type) || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: %+v", p.Title, p)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, q := range p.Targets {
			if q.RefID == "" || q.LegendFormat == "" || !strings.Contains(q.Expr, `instance=~"$instance"`) {
				t.Errorf("panel %q: %+v", p.Title, q)
			}
		}
	}
	wantDocumentedMetrics(t, dashboardFile, read(t, dashboardFile))
}

const (
	prometheusPort   = "9090"
	prometheusConfig = `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [%q]
scrape_configs:
  - job_name: replypath
    static_configs: [{ targets: ["127.0.0.1:9717"] }]
`
)

// startPrometheus starts Prometheus on the gateway, with the alerts and with the endpoint of replypath as its target.
func startPrometheus(t *testing.T, b *box.Box) {
	t.Helper()
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(b.Dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, prometheusConfig, rules), 0o600); err != nil {
		t.Fatal(err)
	}
	c := b.Gateway.Command(t.Context(), "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(b.Dir, "data"), "--web.listen-address=127.0.0.1:"+prometheusPort)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
}

// query returns the number of series that a query has, and an error of Prometheus.
func query(t *testing.T, b *box.Box, expr string) (series int, problem string) {
	t.Helper()
	code, body := box.GetFrom(t, b.Gateway, "http://127.0.0.1:"+prometheusPort+"/api/v1/query?query="+url.QueryEscape(expr))
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		return 0, fmt.Sprintf("%d %v %s", code, err, answer.Error)
	}
	return len(answer.Data.Result), ""
}

// Each query of the dashboard has data, and no alert fires, on a node that is well.
func TestQueriesHaveDataOfARealNode(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	var text strings.Builder
	for _, u := range b.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\nvips = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL, u.Addr4, u.Addr6)
	}
	b.Write(text.String())
	b.Start()
	b.AwaitUp()
	startPrometheus(t, b)
	variables := strings.NewReplacer("$instance", ".*", "$uplink", ".*", "$__rate_interval", "1m")
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			var problem string
			box.Eventually(t, box.EventualTimeout, fmt.Sprintf("panel %q has data", p.Title), func() bool {
				var n int
				n, problem = query(t, b, variables.Replace(q.Expr))
				return n > 0
			})
			if problem != "" {
				t.Errorf("panel %q: %s", p.Title, problem)
			}
		}
	}
	for _, m := range regexp.MustCompile(`expr: (.*)`).FindAllStringSubmatch(read(t, rulesFile), -1) {
		if n, problem := query(t, b, m[1]); n > 0 || problem != "" {
			t.Errorf("%s: %d series on a node that is well: %s", m[1], n, problem)
		}
	}
	b.Shell("ip link set eth1 down")
	box.Eventually(t, box.EventualTimeout, "the alert of an uplink that is down is pending", func() bool {
		n, _ := query(t, b, `ALERTS{alertname="ReplypathUplinkDown", uplink="isp1"}`)
		return n == 2
	})
}
