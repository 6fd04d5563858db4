package box

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// AwaitTable waits until an uplink's table in a family has, or no longer has, what is written.
func (b *Box) AwaitTable(t *testing.T, family, table int, has string, wanted bool) time.Duration {
	t.Helper()
	var text string
	defer func() {
		if t.Failed() {
			t.Log(text)
		}
	}()
	return Eventually(t, EventualTimeout, fmt.Sprintf("table %d of IPv%d has %q: %t", table, family, has, wanted), func() bool {
		text = b.Gateway.Run("ip", fmt.Sprintf("-%d", family), "route", "show", "table", "all")
		found := false
		for line := range strings.Lines(text) {
			before, after, ours := strings.Cut(line, fmt.Sprintf(" table %d proto 82", table))
			found = found || ours && strings.Contains(before+after, has)
		}
		return found == wanted
	})
}

// AwaitRuleText waits until the rules of a family have, or no longer have, what is written.
func (b *Box) AwaitRuleText(t *testing.T, family int, has string, wanted bool) time.Duration {
	t.Helper()
	return Eventually(t, EventualTimeout, fmt.Sprintf("IPv%d has the rule %q: %t", family, has, wanted), func() bool {
		return strings.Contains(b.Gateway.Run("ip", fmt.Sprintf("-%d", family), "rule"), has) == wanted
	})
}

// AwaitRule waits until the mark rule of the second uplink exists, and returns how long that took.
func (b *Box) AwaitRule(t *testing.T, bound time.Duration) time.Duration {
	t.Helper()
	return Eventually(t, bound, "the rule is back", func() bool {
		return strings.Contains(b.Gateway.Run("ip", "rule", "show", "priority", "2003"), "lookup 8202")
	})
}
