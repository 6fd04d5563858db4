package host_test

import (
	"strings"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestBackendAutoDetection(t *testing.T) {
	gateway := world.New(t).Host("gw")
	usual := marks.Legacy
	if strings.Contains(gateway.Run("iptables", "--version"), "nf_tables") {
		usual = marks.NFT
	}
	theirs := func(backend string) string { return "iptables-" + backend + " -A INPUT -i lo -j ACCEPT" }
	ours := func(backend string) string {
		return "ip6tables-" + backend + " -t mangle -N REPLYPATH-PRE && ip6tables-" + backend + " -t mangle -A PREROUTING -j REPLYPATH-PRE"
	}
	native := "nft 'add table inet replypath; add chain inet replypath ip6-pre'"
	for name, c := range map[string]struct {
		before []string
		want   marks.Backend // of the configuration
		get    marks.Backend
		both   bool
	}{
		"nothing is there":               {nil, marks.Auto, usual, false},
		"others use nft":                 {[]string{theirs("nft")}, marks.Auto, marks.NFT, false},
		"others use legacy":              {[]string{theirs("legacy")}, marks.Auto, marks.Legacy, false},
		"others use both":                {[]string{theirs("legacy"), theirs("nft")}, marks.Auto, usual, true},
		"others use both, and we legacy": {[]string{theirs("legacy"), theirs("nft"), ours("legacy")}, marks.Auto, marks.Legacy, true},
		"only we use legacy":             {[]string{ours("legacy")}, marks.Auto, marks.Legacy, false},
		"others nft, and we legacy":      {[]string{ours("legacy"), theirs("nft")}, marks.Auto, marks.Legacy, false},
		"only we use nftables":           {[]string{native}, marks.Auto, marks.Nftables, false},
		"others legacy, and we nftables": {[]string{native, theirs("legacy")}, marks.Auto, marks.Nftables, false},
		"we nftables, and nft is chosen": {[]string{native}, marks.NFT, marks.NFT, false},
		"nftables is chosen":             {[]string{theirs("nft"), ours("legacy")}, marks.Nftables, marks.Nftables, false},
		"the operator has chosen":        {[]string{theirs("nft")}, marks.Legacy, marks.Legacy, false},
		"chosen where others use both":   {[]string{theirs("legacy"), theirs("nft")}, marks.Legacy, marks.Legacy, false},
	} {
		t.Run(name, func(t *testing.T) {
			gateway := world.New(t).Host("gw")
			for _, line := range c.before {
				gateway.Run("sh", "-ec", line)
			}
			h := openHost(t, gateway, host.Options{StateDir: t.TempDir(), Backend: c.want})
			var facts uplinks.Facts
			var err error
			gateway.Do(func() { facts, _, err = h.Observe(t.Context()) })
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range uplinks.Families {
				if got := facts.Firewalls[family].Backend; got != c.get {
					t.Errorf("%s: got %s, want %s", family, got, c.get)
				}
			}
			if facts.MixedBackends != c.both {
				t.Errorf("MixedBackends: %v", facts.MixedBackends)
			}
		})
	}
}

func TestUnusedBackendIsEmptied(t *testing.T) {
	r := newKernelWorld(t, marks.Legacy)
	for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
		r.host = openHost(t, r.gateway, host.Options{StateDir: t.TempDir(), Backend: backend, TableBase: uplinks.DefaultTableBase})
		if _, err := uplinks.Sync(t.Context(), r, uplinkstest.Settings()); err != nil {
			t.Fatal(err)
		}
	}
	r.host = openHost(t, r.gateway, host.Options{StateDir: t.TempDir(), Backend: marks.NFT, TableBase: uplinks.DefaultTableBase})
	if _, err := uplinks.Sync(t.Context(), r, uplinkstest.Settings()); err != nil {
		t.Fatal(err)
	}
	if text := r.gateway.Run("nft", "list", "tables"); strings.Contains(text, marks.NFTTable) {
		t.Errorf("left behind:\n%s", text)
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		if text := r.gateway.Run(family + "-legacy-save"); strings.Contains(text, marks.Prefix) {
			t.Errorf("left behind:\n%s", text)
		}
		if text := r.gateway.Run(family + "-nft-save"); !strings.Contains(text, "-A PREROUTING -j "+marks.Pre) {
			t.Errorf("not there:\n%s", text)
		}
	}
}
