package main

import "fmt"

// requirement is something that must hold.
type requirement struct {
	name   string
	figure sample
	bound  float64
	least  bool // the figure must be at least the bound; else at most
}

// Verdicts. A claim that the median breaks and the better quartile keeps is within what noise can do.
const (
	holds       = "PASS"
	withinNoise = "PASS within noise"
	broken      = "FAIL"
)

func (c requirement) verdict() string {
	switch {
	case len(c.figure) == 0:
		return broken
	case c.kept(c.figure.median()):
		return holds
	case c.kept(c.better()):
		return withinNoise
	}
	return broken
}

func (c requirement) kept(value float64) bool {
	if c.least {
		return value >= c.bound
	}
	return value <= c.bound
}

func (c requirement) better() float64 {
	if c.least {
		return c.figure.quantile(0.75)
	}
	return c.figure.quantile(0.25)
}

func (c requirement) limit() string {
	if c.least {
		return fmt.Sprintf("at least %s", short(c.bound))
	}
	return fmt.Sprintf("at most %s", short(c.bound))
}

// requirementTable returns what must hold, and whether it does.
func requirementTable(requirements []requirement) *table {
	t := &table{title: "Must hold", note: "median (middle half)", columns: []string{"what", "figure", "bound", "verdict"}}
	for _, c := range requirements {
		t.add(c.name, c.figure.String(), c.limit(), c.verdict())
	}
	return t
}
