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

// seedEnv repeats the choices of an earlier run; durationEnv has the test run longer.
const (
	seedEnv     = "REPLYPATH_SEED"
	durationEnv = "REPLYPATH_CHAOS"
)

// restoreScript makes the host able to be kept, whatever was left undone.
const restoreScript = addressScript + `
ip link show eth1 || ip link set x1 name eth1 || { ip link add eth1 type veth peer name p1; ip link set p1 up; }
for l in eth0 eth1 eth2; do ip link set $l up; dress $l; done`

// TestBurstsOfHostEventsAreFollowed runs several host events at once, each up to a random step.
func TestBurstsOfHostEventsAreFollowed(t *testing.T) {
	seed, lasts := uint64(time.Now().UnixNano()), 4*time.Second
	if text, ok := os.LookupEnv(seedEnv); ok {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	if long, err := time.ParseDuration(os.Getenv(durationEnv)); err == nil {
		lasts = long
	}
	t.Logf("replay: %s=%d", seedEnv, seed)
	rng, began, rounds := rand.New(rand.NewPCG(seed, 0)), time.Now(), 0
	for rounds == 0 || time.Since(began) < lasts && !t.Failed() {
		t.Run("a world", func(t *testing.T) {
			w := newFollowedHost(t, marks.NFT)
			for n := 0; n < 30 && !t.Failed(); n++ {
				w.burst(rng)
				rounds++
			}
		})
	}
	t.Logf("%d rounds", rounds)
}

// burst runs the first steps of one to three host events at once. Some steps fail because of the others.
func (w *followedHost) burst(rng *rand.Rand) {
	w.t.Helper()
	var all sync.WaitGroup
	var scripts []string
	for range 1 + rng.IntN(3) {
		c := hostEvents[rng.IntN(len(hostEvents))]
		if c.serial {
			continue
		}
		script := strings.Join(c.scripts[:1+rng.IntN(len(c.scripts))], "\n")
		scripts = append(scripts, script)
		all.Go(func() { w.gateway.Command(w.t.Context(), "sh", "-c", addressScript+script).Run() })
	}
	all.Wait()
	w.awaitAgreement(strings.Join(scripts, "\nand at once\n"))
	w.gateway.Command(w.t.Context(), "sh", "-c", restoreScript).Run()
}
