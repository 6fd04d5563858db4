// Package docs tests the documentation: what README and recipes show is typed, and compared with what the program prints.
package docs
