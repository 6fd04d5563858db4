package perf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// BenchmarkProof measures the proof of 31 uplinks in both families, as verify --json reports its time; and its CPU time on a host that
// forwards to hosts inside, beside rules of other programs that select clients.
func BenchmarkProof(b *testing.B) {
	for _, inside := range []bool{false, true} {
		b.Run(map[bool]string{false: "host", true: "inside"}[inside], func(b *testing.B) { measureProof(b, inside) })
	}
}

// measureProof measures one of the two.
func measureProof(b *testing.B, inside bool) {
	w := world.ISPs(b, 31)
	w.Gateway.ServeTCP(box.ServedPort)
	dir := b.TempDir()
	config := filepath.Join(dir, "replypath.toml")
	var text strings.Builder
	for _, u := range w.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	if inside {
		forwardInside(w)
	}
	args := []string{"--config", config, "--state", dir}
	w.Gateway.Run(box.Binary, append([]string{"apply"}, args...)...)
	var took, cpu []float64 // milliseconds
	var questions float64
	for b.Loop() {
		var v struct {
			Result string
			Took   float64 `json:"took_seconds"`
			Paths  []struct{ Questions []struct{} }
		}
		verify := w.Gateway.Command(b.Context(), box.Binary, append([]string{"verify", "--json"}, args...)...)
		out, _ := verify.Output()
		if err := json.Unmarshal(out, &v); err != nil || v.Result != "yes" {
			b.Fatalf("%v: %s", err, out)
		}
		used := verify.ProcessState.UserTime() + verify.ProcessState.SystemTime()
		took, cpu, questions = append(took, 1000*v.Took), append(cpu, 1000*used.Seconds()), 0
		for _, p := range v.Paths {
			questions += float64(len(p.Questions))
		}
	}
	if inside {
		box.RequireBound(b, cpu, "ms-CPU/verify", 400)
	} else {
		box.RequireBound(b, took, "ms/proof", 250)
	}
	b.ReportMetric(questions, "questions")
}

// forwardInside adds services of the LAN behind DNAT, and networks of clients that rules of another program select, which lead to no uplink.
func forwardInside(w *world.Internet) {
	w.LAN.ServeTCP(22)
	w.Gateway.Run("ip", "link", "add", "tun9", "type", "bridge")
	w.Gateway.Run("ip", "link", "set", "tun9", "up")
	for family, host := range map[string]string{"4": w.LAN4.String(), "6": "[" + w.LAN6.String() + "]"} {
		iptables := map[string]string{"4": "iptables", "6": "ip6tables"}[family]
		for port := range 8 {
			w.Gateway.Run(iptables, "-t", "nat", "-A", "PREROUTING", "-i", "eth+", "-p", "tcp", "--dport", fmt.Sprint(2200+port), "-j", "DNAT", "--to", host+":22")
		}
		w.Gateway.Run("ip", "-"+family, "route", "add", "default", "dev", "tun9", "table", "98")
		for i := range 8 {
			network := map[string]string{"4": fmt.Sprintf("11.%d.0.0/16", i), "6": fmt.Sprintf("2001:db8:9%d::/48", i)}[family]
			w.Gateway.Run("ip", "-"+family, "rule", "add", "pref", "93", "to", network, "ipproto", "tcp", "sport", "443", "lookup", "98")
		}
	}
}
