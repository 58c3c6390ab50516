-- What the relay needs beside the demo table chat.messages. It may run again.

-- Who is in which room; nobody of the role user reads it.
CREATE SHARED TABLE IF NOT EXISTS chat.members (room TEXT, member TEXT, PRIMARY KEY (room, member)) WITH (ACCESS_LEVEL = 'PRIVATE');
INSERT INTO chat.members (room, member) VALUES ('general', 'alice'), ('general', 'bob') ON CONFLICT (room, member) DO NOTHING;

-- A row without a sender is what its user wrote, one with a sender the copy of what another person wrote.
ALTER TABLE chat.messages ADD COLUMN IF NOT EXISTS sender TEXT;
ALTER TABLE chat.messages ADD COLUMN IF NOT EXISTS attachment FILE;
CREATE STREAM TABLE IF NOT EXISTS chat.typing (
  id     BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
  room   TEXT NOT NULL,
  sender TEXT
) WITH (TTL_SECONDS = 3);

ALTER TABLE chat.messages ADD COLUMN IF NOT EXISTS name TEXT; -- what the writer is called
ALTER TABLE chat.typing ADD COLUMN IF NOT EXISTS name TEXT;

-- Copies are not relayed again.
CREATE TOPIC IF NOT EXISTS chat.written;
ALTER TOPIC chat.written ADD SOURCE IF NOT EXISTS chat.messages ON INSERT WHERE sender IS NULL;
ALTER TOPIC chat.written ADD SOURCE IF NOT EXISTS chat.typing ON INSERT WHERE sender IS NULL;

CREATE USER IF NOT EXISTS relay WITH PASSWORD 'Secret123!' ROLE service;
GRANT CONSUME ON TOPIC chat.written TO USER relay;
