// Package page tests the status page in Chromium.
package page
