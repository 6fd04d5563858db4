// Package hook runs the operator's programs when something has changed.
package hook
