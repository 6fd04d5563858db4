module replypath

go 1.26
