// Package answer tests by packets that UDP servers on the wildcard address reply from the address that received the request
// while [udp] has answer = "asked", and as without replypath otherwise.
package answer
