package marks

import (
	"fmt"
	"slices"
	"unique"
)

// List is a list that == compares, so that a value which has one can be compared and be the key of a map. The zero value is empty.
// Equal lists are the same pointer.
type List[T comparable] struct{ first unique.Handle[listEntry[T]] }

type listEntry[T comparable] struct {
	value T
	rest  List[T]
}

// NewList returns a list of the values.
func NewList[T comparable](values ...T) (l List[T]) {
	for _, v := range slices.Backward(values) {
		l = List[T]{unique.Make(listEntry[T]{v, l})}
	}
	return l
}

// IsEmpty reports whether the list has no values.
func (l List[T]) IsEmpty() bool { return l == List[T]{} }

// Values returns the values in order.
func (l List[T]) Values() (all []T) {
	for !l.IsEmpty() {
		e := l.first.Value()
		all, l = append(all, e.value), e.rest
	}
	return all
}

// String returns the values for people.
func (l List[T]) String() string { return fmt.Sprint(l.Values()) }
