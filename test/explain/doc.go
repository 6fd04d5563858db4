// Package explain tests replypath explain, whose route look-ups are compared with those of the kernel under random policies.
package explain
