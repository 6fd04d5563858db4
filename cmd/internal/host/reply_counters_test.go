package host_test

import (
	"net/netip"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// TestReplyCountsSurviveFlushedCounters flushes the counters, changes the uplinks and restarts the program.
func TestReplyCountsSurviveFlushedCounters(t *testing.T) {
	for _, backend := range backends {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			w := world.TwoISPs(t)
			s := settings(w, backend)
			o := host.Options{StateDir: t.TempDir(), Backend: backend, TableBase: s.TableBase}
			h := openHost(t, w.Gateway, o)
			c := &replyCountTest{t: t, w: w, host: h, settings: s}
			c.sync(2)
			c.ping(3)
			c.wantCounts(3)
			c.sync(1)
			c.sync(2)
			c.ping(2)
			c.wantCounts(3 + 2) // the counters of the second uplink restart
			if backend == marks.Nftables {
				w.Gateway.Run("nft", "delete", "table", "inet", marks.NFTTable)
			} else {
				for _, tool := range []string{"iptables-", "ip6tables-"} {
					w.Gateway.Run(tool+string(backend), "-w", "-t", "mangle", "-F")
				}
			}
			c.wantCounts(5)
			c.sync(2)
			c.wantCounts(5)
			c.ping(6) // more than was read before
			c.wantCounts(11)
			h.Close()
			c.host = openHost(t, w.Gateway, o)
			c.wantCounts(6) // what the kernel has counted since the flush
		})
	}
}

type replyCountTest struct {
	t        *testing.T
	w        *world.Internet
	host     *host.Host
	settings uplinks.Settings
}

// sync applies the first n uplinks.
func (c *replyCountTest) sync(n int) {
	c.t.Helper()
	s := c.settings
	s.Uplinks = s.Uplinks[:n]
	var err error
	c.w.Gateway.Do(func() { _, err = uplinks.Sync(c.t.Context(), c.host, s) })
	if err != nil {
		c.t.Fatal(err)
	}
}

// ping pings both addresses of the first uplink n times.
func (c *replyCountTest) ping(n int) {
	c.t.Helper()
	for range n {
		for _, to := range c.w.Uplinks[0].Addrs() {
			ping := world.Request{Kind: world.KindPing, To: netip.AddrPortFrom(to, 0), NoResend: true}
			if a := c.w.Client.Send(ping); !a.OK {
				c.t.Fatal(a)
			}
		}
	}
}

// wantCounts requires a count of n in each family of the first uplink, and 0 of the second.
func (c *replyCountTest) wantCounts(n uint64) {
	c.t.Helper()
	var paths []health.Path
	for _, u := range c.settings.Uplinks {
		for _, family := range uplinks.Families {
			paths = append(paths, health.Path{Key: health.Key{Uplink: u.Name, Family: family}, ID: u.ID})
		}
	}
	var counts map[health.Key]health.ReplyCounts
	var err error
	c.w.Gateway.Do(func() { counts, err = c.host.ReplyCounts(c.t.Context(), paths) })
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range paths {
		want := health.ReplyCounts{}
		if p.ID == 1 {
			want.Symmetric = n
		}
		if got := counts[p.Key]; got != want {
			c.t.Errorf("%v: counts %+v, want %+v", p.Key, got, want)
		}
	}
	if len(counts) != len(paths) {
		c.t.Errorf("%d of %d paths have counts", len(counts), len(paths))
	}
}

// settings returns settings for the uplinks of the world.
func settings(w *world.Internet, backend marks.Backend) uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Backend = backend
	for _, u := range w.Uplinks {
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: u.ISP.Name, ID: marks.ID(u.Index + 1), Link: u.Link.Name,
			Gateway4: uplinks.Gateway{Addr: u.Router4}, Gateway6: uplinks.Gateway{Addr: u.RouterLL}, WhenDown: uplinks.Hold})
	}
	return s
}
