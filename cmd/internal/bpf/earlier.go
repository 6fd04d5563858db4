package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// EarlierProgram is a program of another at the hook of a link.
type EarlierProgram struct {
	ID   uint32 // by which bpftool(8) shows it
	Name string // empty: unknown
}

// Earlier returns the programs of others that a packet meets before that of the link with the index, and that may pass it on past that.
// Those that can end with nothing but TCX_NEXT do not. Without a program of ours there are none.
func (p *LinkPrograms[T]) Earlier(index int) (all []EarlierProgram, err error) {
	running, err := p.runningProgram(index)
	if err != nil {
		return nil, nil // Read reports what is wrong with it
	}
	found, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: p.attach})
	if err != nil {
		return nil, fmt.Errorf("list the programs beside %s: %w", p.name, err)
	}
	for _, other := range found.Programs {
		if other.ID == running {
			break
		}
		if name, continues := inspect(other.ID); !continues {
			all = append(all, EarlierProgram{uint32(other.ID), name})
		}
	}
	return all, nil
}

// inspect returns the name of a program, and whether it certainly leaves every packet to those behind it. One that has been detached
// meanwhile, or that cannot be read, does not.
func inspect(id ebpf.ProgramID) (name string, continues bool) {
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", false
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return "", false
	}
	instructions, err := info.Instructions()
	return info.Name, err == nil && alwaysContinues(instructions)
}

// alwaysContinues reports whether the program certainly ends with TCX_NEXT: each exit is right behind the instruction that sets R0 so, no
// jump goes to one, and no other program takes its place (a tail call).
func alwaysContinues(program asm.Instructions) bool {
	exits, targets := map[int64]bool{}, []int64{}
	set := false // R0, by the instruction before
	for i := program.Iterate(); i.Next(); {
		at, op, isJump := int64(i.Offset), i.Ins.OpCode, i.Ins.OpCode.Class().IsJump()
		switch {
		case isJump && op.JumpOp() == asm.Exit:
			if !set {
				return false
			}
			exits[at] = true
		case i.Ins.IsBuiltinCall():
			if i.Ins.Constant == int64(asm.FnTailCall) {
				return false
			}
		case isJump && op.Class() == asm.Jump32Class && op.JumpOp() == asm.Ja:
			targets = append(targets, at+1+i.Ins.Constant)
		case isJump:
			targets = append(targets, at+1+int64(i.Ins.Offset))
		}
		isMove := op == asm.Mov.Op(asm.ImmSource) || op == asm.Mov.Op32(asm.ImmSource)
		set = isMove && i.Ins.Dst == asm.R0 && int32(i.Ins.Constant) == tcxNext
	}
	for _, t := range targets {
		if exits[t] {
			return false
		}
	}
	return len(exits) > 0
}
