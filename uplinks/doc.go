// Package uplinks decides where packets should go.
package uplinks
