package box

import (
	"encoding/json"
	"fmt"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

// ServiceStatus returns status --json of the running service.
func (b *Box) ServiceStatus() (s health.Status) {
	b.T.Helper()
	r := b.Run("status", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		b.T.Fatalf("%v: %s", err, r)
	}
	return s
}

// states returns how the uplinks stand, in both families.
func states(s health.Status) map[string]health.State {
	all := map[string]health.State{}
	for _, u := range s.Uplinks {
		for _, f := range u.Families {
			all[fmt.Sprintf("%s %s", u.Interface, f.Family)] = f.State
		}
	}
	return all
}

// AwaitState waits until the uplink has the state in both families, and wants all others to be up all the time.
func (b *Box) AwaitState(u *world.Uplink, want health.State) (s health.Status) {
	b.T.Helper()
	Eventually(b.T, EventualTimeout, fmt.Sprintf("%s is %s", u.Link.Name, want), func() bool {
		s = b.ServiceStatus()
		all := states(s)
		for _, other := range b.Uplinks {
			for _, f := range uplinks.Families {
				if is := all[fmt.Sprintf("%s %s", other.Link.Name, f)]; other != u && is != health.Up {
					b.T.Fatalf("%s %s is %s, and nothing happened to it", other.Link.Name, f, is)
				}
			}
		}
		return all[u.Link.Name+" IPv4"] == want && all[u.Link.Name+" IPv6"] == want
	})
	return s
}

// AwaitUp waits until the uplinks, all if none is named, are up in both families.
func (b *Box) AwaitUp(which ...*world.Uplink) {
	b.T.Helper()
	if len(which) == 0 {
		which = b.Uplinks
	}
	Eventually(b.T, EventualTimeout, "the uplinks are up", func() bool {
		all := states(b.ServiceStatus())
		for _, u := range which {
			for _, f := range uplinks.Families {
				if all[fmt.Sprintf("%s %s", u.Link.Name, f)] != health.Up {
					return false
				}
			}
		}
		return true
	})
}
