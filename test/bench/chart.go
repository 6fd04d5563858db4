package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// chart is lines over a number of uplinks, both axes logarithmic.
type chart struct {
	title string
	lines []chartLine
}

type chartLine struct {
	name   string
	class  string // what the style sheet calls it
	dashed bool
	points []chartPoint
}

type chartPoint struct{ x, y float64 }

// The picture and where in it the axes are.
const (
	chartWidth, chartHeight = 760, 380
	left, right             = 52, 560
	top, bottom             = 46, 330
)

// chartStyle has the colours for light and for dark pages.
const chartStyle = `<style>
 text { font: 12px system-ui, sans-serif; fill: #222 } .title { font-size: 14px; font-weight: 600 }
 .grid { stroke: #8884; stroke-width: 1 } .line { fill: none; stroke-width: 2.2 } .dashed { stroke-dasharray: 6 4 }
 .ours { stroke: #0a7d3c } .blog { stroke: #c8501e } .shore { stroke: #2f5fb3 } .floor { stroke: #777 }
 circle { stroke-width: 0 } circle.ours { fill: #0a7d3c } circle.blog { fill: #c8501e } circle.shore { fill: #2f5fb3 } circle.floor { fill: #777 }
 @media (prefers-color-scheme: dark) {
  text { fill: #ddd } .ours { stroke: #4cc982 } .blog { stroke: #f0895b } .shore { stroke: #82aaf5 } .floor { stroke: #aaa }
  circle.ours { fill: #4cc982 } circle.blog { fill: #f0895b } circle.shore { fill: #82aaf5 } circle.floor { fill: #aaa }
 }
</style>
`

// draw writes the chart as SVG.
func (c chart) draw(to io.Writer) {
	fmt.Fprintf(to, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n<title>%s</title>\n%s",
		chartWidth, chartHeight, html.EscapeString(c.title), chartStyle)
	fmt.Fprintf(to, `<text class="title" x="%d" y="24">%s</text>`+"\n", left, html.EscapeString(c.title))
	highest := c.highest()
	for y := 1.0; y <= highest*1.01; y *= 2 {
		at := c.y(y, highest)
		fmt.Fprintf(to, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, at, right, left-8, at+4, y)
	}
	for _, p := range c.longest() {
		fmt.Fprintf(to, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", c.x(p.x), bottom+20, p.x)
	}
	fmt.Fprintf(to, `<text x="%d" y="%d" text-anchor="middle">uplinks</text>`+"\n", (left+right)/2, bottom+40)
	names := c.labelPositions(highest)
	for i, l := range c.lines {
		l.draw(to, c, highest, names[i])
	}
	fmt.Fprintln(to, "</svg>")
}

func (l chartLine) draw(to io.Writer, c chart, highest, name float64) {
	if len(l.points) == 0 {
		return
	}
	var path strings.Builder
	class := "line " + l.class
	if l.dashed {
		class += " dashed"
	}
	for i, p := range l.points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.x(p.x), c.y(p.y, highest))
		fmt.Fprintf(to, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"/>`+"\n", l.class, c.x(p.x), c.y(p.y, highest))
	}
	last := l.points[len(l.points)-1]
	fmt.Fprintf(to, `<path class="%s" d="%s"/><text x="%d" y="%.1f">%s, %s</text>`+"\n", class, &path, right+14, name+4, html.EscapeString(l.name), short(last.y))
}

// labelPositions returns where the names of the lines stand: where the lines end, but never closer than one can read.
func (c chart) labelPositions(highest float64) []float64 {
	const apart = 16
	at := make([]float64, len(c.lines))
	order := sortedBy(c.lines, func(l chartLine) float64 { return -l.end() })
	lowest := float64(top) - apart
	for _, i := range order {
		at[i] = max(c.y(c.lines[i].end(), highest), lowest+apart)
		lowest = at[i]
	}
	return at
}

func (l chartLine) end() float64 {
	if len(l.points) == 0 {
		return 1
	}
	return l.points[len(l.points)-1].y
}

// highest returns the power of two above all points.
func (c chart) highest() float64 {
	most := 2.0
	for _, l := range c.lines {
		for _, p := range l.points {
			most = max(most, p.y)
		}
	}
	return math.Exp2(math.Ceil(math.Log2(most)))
}

// longest returns the points of the line that has most.
func (c chart) longest() (points []chartPoint) {
	for _, l := range c.lines {
		if len(l.points) > len(points) {
			points = l.points
		}
	}
	return points
}

func (c chart) x(uplinks float64) float64 {
	points := c.longest()
	first, last := points[0].x, points[len(points)-1].x
	return left + 20 + (right-left-40)*math.Log(uplinks/first)/math.Log(last/first)
}

func (c chart) y(ratio, highest float64) float64 {
	return bottom - (bottom-top)*math.Log2(max(ratio, 1))/math.Log2(highest)
}
