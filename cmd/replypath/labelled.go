package main

import "slices"

// labelled are texts in the order in which they came up, each once, with the labels of all that it is about.
type labelled []labelledText

type labelledText struct {
	text   string
	labels []string
}

// add adds a text about the label.
func (all *labelled) add(label, text string) {
	i := slices.IndexFunc(*all, func(l labelledText) bool { return l.text == text })
	if i < 0 {
		i = len(*all)
		*all = append(*all, labelledText{text: text})
	}
	(*all)[i].labels = append((*all)[i].labels, label)
}
