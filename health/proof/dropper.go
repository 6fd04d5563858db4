package proof

import "strings"

// dropper returns the rule that dropped the request or its reply, for the end of a sentence.
func (t trace) dropper() string {
	for _, x := range t.steps {
		if x.Drops {
			return ", by " + x.String()
		}
	}
	return t.queued()
}

// queued returns the rules that hand packets to queues which no program reads, for the end of a sentence; "" if there are none.
func (t trace) queued() string {
	var texts []string
	for _, l := range t.output.UnreadQueues {
		texts = append(texts, l.String())
	}
	if len(texts) == 0 {
		return ""
	}
	return "; no program reads the queue to which packets are handed by " + strings.Join(texts, "; ")
}
