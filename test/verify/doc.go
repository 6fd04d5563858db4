// Package verify tests replypath verify: it names what is broken, and leaves no packet and no kernel state behind.
package verify
