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

// batchingFake makes the Fake a Batcher.
type batchingFake struct {
	*uplinkstest.Fake
	sizes []int // the size of each batch
}

func (b *batchingFake) ApplyAll(ctx context.Context, steps []uplinks.Step) (errs []error) {
	b.sizes = append(b.sizes, len(steps))
	for _, s := range steps {
		errs = append(errs, b.Apply(ctx, s))
	}
	return errs
}

// TestBatchedStepsEqualSingleSteps lets every n-th step fail, in batches and one by one.
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
					t.Fatalf("%s: %d steps, and no batch of two", name, size)
				}
				_, now, failed := fake.Observe(t.Context())
				return fmt.Sprintf("%v\n%v\n%v\n%s", done, err, failed, uplinkstest.Dump(now))
			}
			if single, batched := outcome(false), outcome(true); single != batched {
				t.Fatalf("%s, every %d. step fails: one by one\n%s\nin batches\n%s", name, every, single, batched)
			}
		}
	}
}

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
		t.Errorf("%d of %d steps were executed, %v", len(done), len(plan), err)
	}
}
