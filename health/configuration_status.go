package health

import "time"

// ConfigurationStatus compares the configuration file with what is in force.
type ConfigurationStatus struct {
	File      string             `json:"file"`                 // the path of the main file
	State     FileState          `json:"state"`                // of the file
	InForce   ConfigurationState `json:"in_force"`             // of what is in force
	Why       string             `json:"why,omitempty"`        // the file is not in force, for people
	Remedy    string             `json:"remedy,omitempty"`     // for people
	ConfirmBy *time.Time         `json:"confirm_by,omitempty"` // when an unconfirmed configuration is rolled back
	Unsaved   string             `json:"unsaved,omitempty"`    // why the configuration is not saved for the next start, for people
}

// FileState says how a configuration file compares with what is in force.
type FileState string

// The states of a configuration file.
const (
	FileInForce     FileState = "in-force"
	FileChanged     FileState = "changed"     // it says something else
	FileUnconfirmed FileState = "unconfirmed" // it says what was applied and not confirmed in time
	FileInvalid     FileState = "invalid"     // it has mistakes, or cannot be read
	FileMissing     FileState = "missing"
)

// ConfigurationState says how certain the configuration in force is.
type ConfigurationState string

// The states of the configuration in force.
const (
	Confirmed   ConfigurationState = "confirmed"
	Unconfirmed ConfigurationState = "unconfirmed" // it waits for its confirmation
	NoneInForce ConfigurationState = "none"        // nothing was ever confirmed
)
