package main

import "fmt"

// tally counts questions over all scenes.
type tally struct {
	asked, lost  int // before: how many, and those that got no answer
	again, right int // after: how many, and those whose answer left by the interface they came in on
	wrong        []string
}

func (t *tally) countBefore(r results) {
	t.asked += len(r.questions)
	for _, q := range r.questions {
		if !r.of[q].answered {
			t.lost++
		}
	}
}

func (t *tally) countAfter(r results) {
	t.again += len(r.questions)
	for _, q := range r.questions {
		if r.of[q] == right(q) {
			t.right++
		}
	}
}

func (t *tally) add(other tally) {
	t.asked += other.asked
	t.lost += other.lost
	t.again += other.again
	t.right += other.right
	t.wrong = append(t.wrong, other.wrong...)
}

func (t tally) before() string {
	return fmt.Sprintf("Before: %d of %d questions went unanswered.", t.lost, t.asked)
}

func (t tally) after() string {
	return fmt.Sprintf("After: %d of %d were answered, each by the interface it came in on.", t.right, t.again)
}
