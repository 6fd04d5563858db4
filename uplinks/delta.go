package uplinks

import "slices"

// delta returns the keys that must be written so that have becomes want, and those that must be erased, each in order.
func delta[K, V comparable](want, have map[K]V, order func(a, b *K) int) (write, erase []K) {
	return deltaFunc(want, have, order, func(a, b V) bool { return a == b })
}

// deltaFunc does the same as delta, for values that equal compares.
func deltaFunc[K comparable, V any](want, have map[K]V, order func(a, b *K) int, equal func(a, b V) bool) (write, erase []K) {
	write = make([]K, 0, len(want))
	for k, v := range want {
		if got, ok := have[k]; !ok || !equal(got, v) {
			write = append(write, k)
		}
	}
	for k := range have {
		if _, ok := want[k]; !ok {
			erase = append(erase, k)
		}
	}
	return sorted(write, order), sorted(erase, order)
}

// oneKey orders the keys of maps that have one key at most.
func oneKey[K any](_, _ *K) int { return 0 }

// differing returns the values of all that others has not at the same key, in order.
func differing[K comparable, V interface{ Equal(other V) bool }](all, others map[K]V, order func(a, b V) int) (values []V) {
	for k, v := range all {
		if other, exists := others[k]; !exists || !other.Equal(v) {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, order)
	return values
}

// sortedKeys returns the keys of the map in order.
func sortedKeys[K comparable, V any](m map[K]V, order func(a, b *K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return sorted(keys, order)
}

// sorted returns the keys in order. It sorts pointers, as the keys are large.
func sorted[K any](keys []K, order func(a, b *K) int) []K {
	pointers := make([]*K, len(keys))
	for i := range keys {
		pointers[i] = &keys[i]
	}
	slices.SortFunc(pointers, order)
	out := make([]K, len(keys))
	for i, k := range pointers {
		out[i] = *k
	}
	return out
}
