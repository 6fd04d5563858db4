package icmp

import "testing"

func TestATargetReusesTheSameIdentifiers(t *testing.T) {
	a := newIDAllocator()
	used := map[uint16]bool{}
	for range 1000 {
		var outstanding []uint16
		for range 5 {
			id, err := a.allocate(4094)
			if err != nil {
				t.Fatal(err)
			}
			used[id] = true
			outstanding = append(outstanding, id)
		}
		for _, id := range outstanding {
			a.release(id)
		}
	}
	if len(used) != 5 {
		t.Errorf("5 requests at a time used %d identifiers", len(used))
	}
}

func TestIdentifiersRunOut(t *testing.T) {
	a := newIDAllocator()
	used := map[uint16]bool{}
	for i := range idCount {
		id, err := a.allocate(uint64(i) * 31)
		if err != nil || used[id] || id&^idMask != a.prefix {
			t.Fatal(i, id, err)
		}
		used[id] = true
	}
	if _, err := a.allocate(0); err == nil {
		t.Error("an identifier was allocated although all are in use")
	}
}

func TestNoAllocatorUsesTheReservedIdentifier(t *testing.T) {
	for range 1000 {
		if a := newIDAllocator(); a.prefix == unusedID&^idMask {
			t.Fatalf("prefix %#x includes the reserved identifier", a.prefix)
		}
	}
}
