// Package doctor tests replypath doctor: each finding is made real, named, and gone after its remedy was carried out.
package doctor
