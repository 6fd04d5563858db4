package daemon

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/marks"
)

// tumultSeed replays a tumult, as far as programs that run at once can be replayed; tumultTime has it last longer.
const (
	tumultSeed = "REPLYPATH_SEED"
	tumultTime = "REPLYPATH_CHAOS"
)

// calming makes the host able to be kept, whatever was left undone.
const calming = dressing + `
ip link show eth1 || ip link set x1 name eth1 || { ip link add eth1 type veth peer name p1; ip link set p1 up; }
for l in eth0 eth1 eth2; do ip link set $l up; dress $l; done`

// What happens at once, and is cut off anywhere, leaves the service knowing all that a look at the whole host shows.
func TestATumultIsFollowed(t *testing.T) {
	seed, lasts := uint64(time.Now().UnixNano()), 4*time.Second
	if text, ok := os.LookupEnv(tumultSeed); ok {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	if long, err := time.ParseDuration(os.Getenv(tumultTime)); err == nil {
		lasts = long
	}
	t.Logf("replay: %s=%d", tumultSeed, seed)
	chance, began, rounds := rand.New(rand.NewPCG(seed, 0)), time.Now(), 0
	for rounds == 0 || time.Since(began) < lasts && !t.Failed() {
		t.Run("a world", func(t *testing.T) {
			w := newWatched(t, marks.NFT)
			for n := 0; n < 30 && !t.Failed(); n++ {
				w.tumult(chance)
				rounds++
			}
		})
	}
	t.Logf("%d rounds", rounds)
}

// tumult has the beginnings of some happenings at once, of which some steps fail because of the others.
func (w *watched) tumult(chance *rand.Rand) {
	w.t.Helper()
	var all sync.WaitGroup
	var what []string
	for range 1 + chance.IntN(3) {
		c := happenings[chance.IntN(len(happenings))]
		if c.alone {
			continue
		}
		does := strings.Join(c.does[:1+chance.IntN(len(c.does))], "\n")
		what = append(what, does)
		all.Go(func() { w.gateway.Command(w.t.Context(), "sh", "-c", dressing+does).Run() })
	}
	all.Wait()
	w.agree(strings.Join(what, "\nand at once\n"))
	w.gateway.Command(w.t.Context(), "sh", "-c", calming).Run()
}
