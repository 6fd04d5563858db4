// Package intercept tests by packets that transparent proxies work beside the reply path: which connections reach them,
// that their answers and their own connections find their way, and what happens while no proxy listens.
package intercept
