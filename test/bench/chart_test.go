package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChartIsXMLWithEveryLineInItsFrame(t *testing.T) {
	c := chart{title: "title & more", lines: []chartLine{
		{name: "flat", class: "ours", points: []chartPoint{{2, 1.9}, {31, 1.95}, {250, 2.1}}},
		{name: "steep", class: "blog", dashed: true, points: []chartPoint{{2, 2}, {31, 6}, {250, 27}}},
		{name: "short", class: "shore", points: []chartPoint{{2, 2.1}, {31, 6.1}}},
	}}
	var b bytes.Buffer
	c.draw(&b)
	decoder := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, &b)
		}
	}
	for _, want := range []string{"flat, 2.10", "steep, 27.0", "short, 6.10", "title &amp; more"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	for _, at := range c.labelPositions(c.highest()) {
		if at < top || at > bottom+20 {
			t.Errorf("a name at %.1f", at)
		}
	}
}
