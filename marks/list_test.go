package marks_test

import (
	"slices"
	"testing"

	"replypath/marks"
)

func TestListsAreEqualIfTheirValuesAre(t *testing.T) {
	lists := map[string][]string{"none": nil, "one": {"a"}, "other": {"b"}, "longer": {"a", "b"}, "other order": {"b", "a"}, "twice": {"a", "a"}, "empty": {""}}
	keys := map[marks.List[string]]string{}
	for name, values := range lists {
		l := marks.NewList(values...)
		if again := marks.NewList(slices.Clone(values)...); again != l || l.IsEmpty() != (len(values) == 0) || !slices.Equal(l.Values(), values) {
			t.Errorf("%s: %v has the values %v, and again it is %v", name, l, l.Values(), again)
		}
		if other, known := keys[l]; known {
			t.Errorf("%s is the same as %s", name, other)
		}
		keys[l] = name
	}
}
