package service

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// maxTrackRatio bounds the CPU time of a track_script, as a multiple of that of a command that only starts and ends: 20 ms on a
// machine where that takes 5 ms.
const maxTrackRatio = 4

// leastCPU returns the shortest CPU time of each of the commands, in turn. How long they take hinges on what else the machine does.
func leastCPU(b *box.Box, commands ...[]string) (least []time.Duration) {
	b.T.Helper()
	took := make([]box.Durations, len(commands))
	for range 25 {
		for i, args := range commands {
			cmd := b.Command(b.T.Context(), args...)
			if r := b.RunCommand(cmd); r.Status != 0 {
				b.T.Fatalf("replypath %s: %s", strings.Join(args, " "), r)
			}
			took[i] = append(took[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		}
	}
	for _, all := range took {
		least = append(least, slices.Min(all))
	}
	return least
}

func TestTrackScriptSaysWhetherAnUplinkWorks(t *testing.T) {
	t.Parallel()
	b := vipBox(t)
	b.Start()
	b.AwaitUp(b.Uplinks[0])
	b.AwaitState(b.Uplinks[1], health.Standby)
	for _, uplink := range []string{"isp0", "isp1"} {
		if r := b.Must(0, "status", "--uplink", uplink, "--quiet"); r.Stdout != "" || r.Stderr != "" {
			t.Errorf("%s", r)
		}
	}
	if r := b.Must(0, "status", "--uplink", "isp1"); !strings.Contains(r.Stdout, "standby") || strings.Contains(r.Stdout, "isp0") {
		t.Errorf("%s", r)
	}
	var u health.UplinkStatus
	if err := json.Unmarshal([]byte(b.Must(0, "status", "--uplink", "isp1", "--json").Stdout), &u); err != nil || u.Name != "isp1" || u.State != health.Standby || len(u.Families) != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	least := leastCPU(b, []string{"version"}, []string{"status", "--uplink", "isp1", "--quiet"})
	start, check := least[0], least[1]
	t.Logf("CPU time: version %v, status --uplink isp1 --quiet %v", start, check)
	if check > maxTrackRatio*start {
		t.Errorf("the check takes %v of CPU time, more than %d times the start of the program, %v", check, maxTrackRatio, start)
	}
	moveVIPs(b, b.Uplinks[1], "add")
	b.AwaitUp()
	b.Shell("ip link set eth1 down")
	box.Eventually(t, box.EventualTimeout, "isp1 does not work", func() bool {
		return b.Run("status", "--uplink", "isp1", "--quiet").Status == 3
	})
	b.Must(0, "status", "--uplink", "isp0", "--quiet")
	b.Must(3, "status", "--quiet")
	if r := b.Must(2, "status", "--uplink", "lte", "--quiet"); !strings.Contains(r.Stderr, "isp0, isp1") {
		t.Errorf("%s", r)
	}
	b.Must(2, "status", "--uplink", "isp0", "--watch")
}

func TestTrackScriptFailsWithoutTheService(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if r := b.RunCommand(b.Command(ctx, "status", "--uplink", "isp0", "--quiet")); r.Status != 1 || !strings.Contains(r.Stderr, "does not run") {
		t.Errorf("%s", r)
	}
}
