package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead shows that the time grows no faster than the number of uplinks.
func BenchmarkRead(b *testing.B) {
	for _, uplinks := range []int{2, 31, 255} {
		b.Run(fmt.Sprintf("uplinks=%d", uplinks), func(b *testing.B) {
			text := strings.Builder{}
			text.WriteString("mask = 0xff00\n")
			for i := range uplinks {
				fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = \"wan%d\"\ngateway = [\"198.19.%d.1\", \"2001:db8:%x::1\"]\n",
					i, i+1, i, i, 0x100+i)
				fmt.Fprintf(&text, "[uplinks.isp%d.probes.dns]\ntarget = \"icmp://203.0.113.53\"\n", i)
			}
			file := filepath.Join(b.TempDir(), "replypath.toml")
			if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if c, err := readConfig(file); err != nil || len(c.Uplinks) != uplinks {
					b.Fatalf("%d uplinks, %v", len(c.Uplinks), err)
				}
			}
		})
	}
}
