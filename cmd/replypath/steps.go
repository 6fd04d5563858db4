package main

import (
	"fmt"
	"strings"

	"replypath/uplinks"
)

func stepReports(plan uplinks.Plan) []stepReport {
	all := []stepReport{}
	for _, s := range plan {
		all = append(all, newStepReport(s.Kind(), s.String()))
	}
	return all
}

func newStepReport(k uplinks.Kind, text string) stepReport {
	return stepReport{string(k), strings.Split(text, "\n")}
}

// nonNil returns an empty slice for nil, which JSON would encode as null.
func nonNil[T any](some []T) []T {
	if some == nil {
		return []T{}
	}
	return some
}

// summary returns the number of a plan's steps by kind, as text.
func summary(plan uplinks.Plan) string {
	counts := map[uplinks.Kind]int{}
	for _, s := range plan {
		counts[s.Kind()]++
	}
	var words []string
	for _, k := range uplinks.Kinds {
		switch n := counts[k]; {
		case n == 0:
		case k == uplinks.KindChains:
			words = append(words, pluralize(n, "set")+" of chains")
		default:
			words = append(words, pluralize(n, string(k)))
		}
	}
	return strings.Join(words, ", ")
}

func pluralize(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
