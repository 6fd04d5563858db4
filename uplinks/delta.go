package uplinks

import (
	"maps"
	"slices"
)

// delta is what must be written so that have becomes want, and what must be erased, each in order.
func delta[K, V comparable](want, have map[K]V, order func(a, b K) int) (write, erase []K) {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			write = append(write, k)
		}
	}
	for k := range have {
		if _, ok := want[k]; !ok {
			erase = append(erase, k)
		}
	}
	slices.SortFunc(write, order)
	slices.SortFunc(erase, order)
	return write, erase
}

func sortedKeys[K comparable, V any](m map[K]V, order func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), order)
}
