package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// defaultConfirm is the time of --confirm without one.
const defaultConfirm = "1m0s"

// confirmTime is the value of --confirm. It implements pflag.Value.
type confirmTime struct {
	duration time.Duration
	bare     bool // the flag was given without a time in the same word
}

// String returns the time, or "" without one.
func (c *confirmTime) String() string {
	if c.duration == 0 {
		return ""
	}
	return c.duration.String()
}

// Type returns the kind of the value for the usage message.
func (c *confirmTime) Type() string { return "duration" }

// Set reads the time, of at least a second.
func (c *confirmTime) Set(text string) error {
	d, err := time.ParseDuration(text)
	if _, notNumber := strconv.ParseFloat(text, 64); notNumber == nil {
		return fmt.Errorf("%s has no unit: write %ss", text, text)
	}
	switch {
	case err != nil:
		return errors.New("this is not a time: write one such as 60s")
	case d < time.Second:
		return fmt.Errorf("%s is too short: use at least 1s, such as 60s", d)
	}
	c.duration, c.bare = d, text == defaultConfirm
	return nil
}

// otherArg returns the argument beside the time, which is an argument of its own where the flag was given without one: as the time has
// a default, the word behind --confirm does not belong to the flag. The error is of the usage.
func (c *confirmTime) otherArg(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	for i, other := range []int{0, 1} { // FILE --confirm TIME, or --confirm TIME FILE
		if err := c.Set(args[1-i]); err == nil {
			return args[other], nil
		}
	}
	return "", fmt.Errorf("%w: --confirm: neither %q nor %q is a time of at least 1s, such as 60s", errUsage, args[0], args[1])
}
