package uplinks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// batchingFake is the Fake as a kernel that takes steps together.
type batchingFake struct {
	*uplinkstest.Fake
	sizes []int // how many steps at once
}

func (b *batchingFake) ApplyAll(ctx context.Context, steps []uplinks.Step) (errs []error) {
	b.sizes = append(b.sizes, len(steps))
	for _, s := range steps {
		errs = append(errs, b.Apply(ctx, s))
	}
	return errs
}

// Steps that are done together come out as if each were done alone, whichever of them fail.
func TestBatchedStepsEqualSingleSteps(t *testing.T) {
	facts := uplinkstest.Facts()
	moved := uplinkstest.Settings()
	moved.Mask, moved.TableBase, moved.Uplinks = 0xff0000, 9200, moved.Uplinks[:1]
	for name, c := range map[string]struct{ from, to uplinks.Settings }{
		"from nothing":    {uplinks.Settings{}, uplinkstest.Settings()},
		"to nothing":      {uplinkstest.Settings(), uplinks.Settings{}},
		"everything else": {uplinkstest.Settings(), moved},
	} {
		want, have := uplinks.Desired(c.to, facts, nil), uplinks.Desired(c.from, facts, nil)
		size := len(uplinks.Diff(want, have))
		for every := range 40 {
			outcome := func(batched bool) string {
				fake := uplinkstest.NewFake(facts)
				if _, err := uplinks.Sync(t.Context(), fake, c.from); err != nil {
					t.Fatal(err)
				}
				count := 0
				fake.Fail = func(s uplinks.Step) error {
					if count++; every > 0 && count%every == 0 {
						return fmt.Errorf("refused: %s", s)
					}
					return nil
				}
				var k uplinks.Kernel = fake
				if batched {
					k = &batchingFake{Fake: fake}
				}
				done, err := uplinks.Execute(t.Context(), k, uplinks.Diff(want, have))
				if b, is := k.(*batchingFake); is && slices.Max(b.sizes) < 2 {
					t.Fatalf("%s: %d steps, and no two of them were given together", name, size)
				}
				_, now, failed := fake.Observe(t.Context())
				return fmt.Sprintf("%v\n%v\n%v\n%s", done, err, failed, uplinkstest.Dump(now))
			}
			if single, batched := outcome(false), outcome(true); single != batched {
				t.Fatalf("%s, every %d. step fails: alone\n%s\ntogether\n%s", name, every, single, batched)
			}
		}
	}
}

// Who ends a change waits for a few steps, not for all.
func TestExecuteStopsBetweenBatchesWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fake := uplinkstest.NewFake(uplinkstest.Facts())
	fake.Fail = func(uplinks.Step) error { cancel(); return nil }
	var plan uplinks.Plan
	for i := range 500 {
		plan = append(plan, uplinks.AddRule{Rule: uplinks.Rule{Family: uplinks.IPv4, Priority: uplinks.Priority(i), Action: uplinks.Nop}})
	}
	done, err := uplinks.Execute(ctx, &batchingFake{Fake: fake}, plan)
	if !errors.Is(err, context.Canceled) || len(done) > 100 {
		t.Errorf("%d of %d steps were done, %v", len(done), len(plan), err)
	}
}
