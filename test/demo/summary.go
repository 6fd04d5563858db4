package main

import "fmt"

// summary counts requests over all scenes.
type summary struct {
	requests, lost int // before: how many, and those that got no answer
	again, right   int // after: how many, and those whose answer left by the interface they came in on
	wrong          []string
}

func (t *summary) countBefore(r results) {
	t.requests += len(r.requests)
	for _, q := range r.requests {
		if !r.of[q].replied {
			t.lost++
		}
	}
}

func (t *summary) countAfter(r results) {
	t.again += len(r.requests)
	for _, q := range r.requests {
		if r.of[q] == right(q) {
			t.right++
		}
	}
}

func (t *summary) add(other summary) {
	t.requests += other.requests
	t.lost += other.lost
	t.again += other.again
	t.right += other.right
	t.wrong = append(t.wrong, other.wrong...)
}

func (t summary) before() string {
	return fmt.Sprintf("Before: %d of %d questions went unanswered.", t.lost, t.requests)
}

func (t summary) after() string {
	return fmt.Sprintf("After: %d of %d were answered, each by the interface it came in on.", t.right, t.again)
}
