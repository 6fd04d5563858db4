// Package trustedfile opens files that root reads or runs because a configuration names them, so that no other user can choose
// what root gets.
//
// walk.go resolves a path one component at a time, each by a descriptor that is opened without following links (O_PATH,
// O_NOFOLLOW), and checks the component by that descriptor: directories, symbolic links and the file. What was checked is what
// is opened, whatever is renamed meanwhile. rules.go has the rules for files that are read and, stricter, for programs.
package trustedfile
