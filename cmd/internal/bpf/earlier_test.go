package bpf_test

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
)

// othersPrograms are programs of another service at the egress of a link; bypasses says that packets may not get to the filter behind.
var othersPrograms = map[string]struct {
	bypasses     bool
	instructions asm.Instructions
}{
	"passes":       {true, asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}},
	"drops":        {true, asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}},
	"continues":    {false, asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}},
	"continues_32": {false, asm.Instructions{asm.Mov.Imm32(asm.R0, -1), asm.Return()}},
	"twice": {false, asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.JEq.Imm(asm.R2, 99, "large"),
		asm.Mov.Imm(asm.R0, -1), asm.Return(), asm.Mov.Imm(asm.R0, -1).WithSymbol("large"), asm.Return()}},
	"sometimes": {true, asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.JEq.Imm(asm.R2, 99, "large"),
		asm.Mov.Imm(asm.R0, -1), asm.Return(), asm.Mov.Imm(asm.R0, 0).WithSymbol("large"), asm.Return()}},
	"jumps_past": {true, asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.JEq.Imm(asm.R2, 99, "end"),
		asm.Mov.Imm(asm.R0, -1), asm.Return().WithSymbol("end")}},
	"jumps_wide": {true, asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.JEq.Imm(asm.R2, 99, "end"),
		asm.LoadImm(asm.R3, 1<<40, asm.DWord), asm.StoreMem(asm.RFP, -8, asm.R3, asm.DWord),
		asm.Mov.Imm(asm.R0, -1), asm.Return().WithSymbol("end")}},
	"by_size": {true, asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 0, asm.Word), asm.Return()}},
}

// Programs that packets meet before ours, and that may pass them on past it, are named; those that always continue, and those behind ours,
// are not.
func TestProgramsBeforeOursAreNamed(t *testing.T) {
	e := openFilters(t)
	index := newLink(t, "rp-earlier")
	setFilter(t, e, index, filter("198.18.0.0/24"))
	for name, other := range othersPrograms {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress, License: "GPL", Instructions: other.instructions})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, before := range []bool{true, false} {
			at := map[bool]link.Anchor{true: link.Head(), false: link.Tail()}[before]
			held, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: ebpf.AttachTCXEgress, Anchor: at})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all, err := e.Earlier(index)
			if err != nil {
				t.Error(err)
			}
			var got, want []string
			for _, p := range all {
				got = append(got, p.Name)
				if id := attached(t, index)[0]; p.ID != uint32(id) {
					t.Errorf("%s is %d, and the first program is %d", name, p.ID, id)
				}
			}
			if before && other.bypasses {
				want = append(want, name)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, before ours: %t: %s", name, before, d)
			}
			if err := held.Close(); err != nil {
				t.Error(err)
			}
			awaitOneProgram(t, name, index, ebpf.AttachTCXEgress)
		}
		program.Close()
	}
	if all, err := e.Earlier(noLink); all != nil || err != nil {
		t.Errorf("where there is no filter: %v, %v", all, err)
	}
}

const noLink = 1<<31 - 1
