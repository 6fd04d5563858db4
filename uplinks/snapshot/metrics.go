package snapshot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"replypath/marks/nlattr"
)

// ccAlgorithm is the only metric that is a name.
const ccAlgorithm = 16

// metrics are the metrics of a route, NAME=VALUE with commas.
var metrics = kind{
	text: func(v nlattr.Value) string {
		var all []string
		for t, value := range nlattr.All(v) {
			name := decimal(t)
			if int(t) < len(metricNames) {
				name = metricNames[t]
			}
			text := fmt.Sprint(value.Uint32())
			if t == ccAlgorithm {
				text = strings.TrimRight(string(value), "\x00")
			}
			all = append(all, name+"="+text)
		}
		return strings.Join(all, ",")
	},
	bytes: func(text string) (b []byte, err error) {
		for part := range strings.SplitSeq(text, ",") {
			name, value, _ := strings.Cut(part, "=")
			t := slices.Index(metricNames, name)
			if t < 0 {
				if t, err = strconv.Atoi(name); err != nil || t < 0 || t > 1<<14-1 {
					return nil, fmt.Errorf("%w: metric %s", errValue, name)
				}
			}
			encoded := append([]byte(value), 0)
			if t != ccAlgorithm {
				if encoded, err = decimal32.bytes(value); err != nil {
					return nil, err
				}
			}
			b = nlattr.Append(b, uint16(t), encoded)
		}
		return b, nil
	},
}

func decimal(n uint16) string { return strconv.Itoa(int(n)) }
