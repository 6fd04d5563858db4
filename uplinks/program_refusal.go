package uplinks

import (
	"maps"
	"slices"
)

// ProgramRefusal is why the kernel refuses BPF programs of one kind at links. The zero value refuses none.
type ProgramRefusal struct {
	All   string         // empty: not all of them
	Links map[int]string // of those that it refuses alone, by index
}

// refuses reports whether the kernel refuses the program of the link with the index.
func (r ProgramRefusal) refuses(index int) bool { return r.All != "" || r.Links[index] != "" }

func (r ProgramRefusal) equal(other ProgramRefusal) bool {
	return r.All == other.All && maps.Equal(r.Links, other.Links)
}

// withoutRefused returns those of the programs, each of the link with the index, that the kernel does not refuse.
func withoutRefused[T any](programs []T, r ProgramRefusal, index func(T) int) []T {
	return slices.DeleteFunc(programs, func(p T) bool { return r.refuses(index(p)) })
}
