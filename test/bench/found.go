package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"replypath/test/world"
)

// foundUplinks is the number of uplinks of gateways with routers = "any". Only the links count for what is measured.
const foundUplinks = 2

// foundNumbers are how many routers were found. The packets that are measured come from the one that was found last.
var foundNumbers = []int{0, 31, 250}

// foundPaths are those of connections that begin outside.
var foundPaths = paths{
	established: []path{reply, original, local},
	fresh:       []path{first},
	opening:     []path{original, reply, original, reply},
}

// withFound has gateways whose last uplink finds routers, by their number and the backend; besideFound some on whose first uplink all
// routers were found, and whose packets are measured by the last one.
var (
	withFound   = variantsOfFound()
	besideFound = perBackend(variant{name: "routers found by another interface"}, func(g *gateway, b string) { g.withRouters(b, 0, 250) }, ourBackends)
)

func variantsOfFound() map[int]map[string]variant {
	of := map[int]map[string]variant{}
	for _, n := range foundNumbers {
		of[n] = perBackend(variant{name: fmt.Sprintf("%d routers found", n)}, func(g *gateway, b string) { g.withRouters(b, g.lastIndex(), n) }, ourBackends)
	}
	return of
}

// foundVariants returns all of them.
func foundVariants() (all []variant) {
	for _, b := range ourBackends {
		for _, n := range foundNumbers {
			all = append(all, withFound[n][b])
		}
		all = append(all, besideFound[b])
	}
	return all
}

// withRouters sets the gateway up with routers that were found on the link of an uplink.
func (g *gateway) withRouters(backend string, uplink, number int) {
	g.anyRouter = uplinkName(uplink)
	var all []map[string]any
	for i := range number {
		mac := net.HardwareAddr{0x06, 0, 0x5e, byte(i * 7), byte(i >> 2), byte(i)}
		if i == number-1 {
			mac = senderOfFrames
		}
		all = append(all, map[string]any{"uplink": fmt.Sprintf("isp%d", uplink), "mac": mac.String(), "id": 255 - i})
	}
	text, err := json.Marshal(all)
	folder := filepath.Join(g.folder, "state")
	must(errors.Join(err, os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, fmt.Sprintf("found-routers-%d.json", g.host.NetnsCookie())), text, 0o600)),
		"%s: routers that were found", g.name)
	g.withReplypath(backend)
}

// forFound returns the run of packets of found routers.
func (r run) forFound() run {
	r.variants, r.uplinks, r.intercepting = r.found, []int{foundUplinks}, nil
	return r
}

// measureFound measures the packets of found routers.
func measureFound(r run, to *results) {
	on(func(w *world.World) {
		p := newPackets(w, r.forFound(), foundPaths)
		p.measure()
		to.add(p.foundTable("CPU time"))
		to.requirements = append(to.requirements, p.foundRequirements()...)
	})
}

// foundRatio returns what a packet costs with a variant, over what it costs with no router found.
func (p *packets) foundRatio(w path, v variant, backend string, f family) sample {
	return p.work(w.name, v.name, foundUplinks, f).over(p.work(w.name, withFound[0][backend].name, foundUplinks, f))
}

// foundRows returns the variants that the table has for each path.
func foundRows(backend string) (all []variant) {
	for _, n := range foundNumbers[1:] {
		all = append(all, withFound[n][backend])
	}
	return append(all, besideFound[backend])
}

// foundTable returns what packets cost with found routers. unit names what the cost is counted in.
func (p *packets) foundTable(unit string) *table {
	t := &table{title: fmt.Sprintf("%s of a packet of the last of the routers found, IPv4 / IPv6, over none found", unit), columns: []string{"path", "rules"}}
	for _, b := range ourBackends {
		for i, v := range foundRows(b) {
			if i == 0 {
				t.columns = append(t.columns, b)
			}
			for j, w := range p.measured() {
				at := i*len(p.measured()) + j
				if len(t.rows) <= at {
					t.add(w.label, cutBackend(v))
				}
				cell := ""
				for k, f := range families {
					if k > 0 {
						cell += " / "
					}
					cell += short(p.foundRatio(w, v, b, f).median())
				}
				t.rows[at] = append(t.rows[at], cell)
			}
		}
	}
	return t
}

// cutBackend returns the name of a variant without its backend.
func cutBackend(v variant) string { return v.name[:len(v.name)-len(", "+v.backend)] }

// foundBounds are what a packet may cost with 250 found routers, over none found: by a found router, and by another interface.
var foundBounds = []struct {
	path        path
	by, another float64
}{{reply, 1.2, 1.15}, {original, 1.8, 1.15}, {local, 1.8, 1.15}, {first, 1.5, 1.15}}

// foundRequirements returns what must hold of packets of found routers.
func (p *packets) foundRequirements() (requirements []requirement) {
	most := foundNumbers[len(foundNumbers)-1]
	for _, b := range ourBackends {
		for _, f := range families {
			for _, c := range foundBounds {
				for _, of := range []struct {
					v     variant
					bound float64
				}{{withFound[most][b], c.by}, {besideFound[b], c.another}} {
					requirements = append(requirements, requirement{name: fmt.Sprintf("%s, %s: %s, over none found", c.path.label, f, of.v.name),
						figure: p.foundRatio(c.path, of.v, b, f), bound: of.bound})
				}
			}
		}
	}
	return slices.DeleteFunc(requirements, func(c requirement) bool { return p.run.focused && len(c.figure) == 0 })
}
