package host

import (
	"encoding/json"
	"strings"

	"replypath/marks"
)

// ruleWords returns the rule as iptables writes it, or as JSON if that does not express it: rules with the maps of nftables.
func ruleWords(r marks.Rule) string {
	if r.Opaque != "" {
		return r.Opaque
	}
	text := r.String()
	if back, err := marks.ParseRule(text); err == nil && back == r {
		return text
	}
	encoded, err := json.Marshal(r)
	var fields map[string]any
	if err == nil {
		err = json.Unmarshal(encoded, &fields)
	}
	if err != nil {
		return text
	}
	dropZero(fields)
	encoded, _ = json.Marshal(fields)
	return string(encoded)
}

// dropZero removes the fields that do not match on anything.
func dropZero(fields map[string]any) {
	for name, v := range fields {
		inner, is := v.(map[string]any)
		if is {
			dropZero(inner)
		}
		if is && len(inner) == 0 || v == "" || v == false || v == 0.0 || v == nil {
			delete(fields, name)
		}
	}
}

// parseRuleWords returns the rule of ruleWords.
func parseRuleWords(text string) (r marks.Rule, err error) {
	if !strings.HasPrefix(text, "{") {
		return marks.ParseRule(text)
	}
	return r, json.Unmarshal([]byte(text), &r)
}
