-- Tests move time: the last two arguments stand for the server's clock and run id.
local function server_clock()
  return tonumber(ARGV[#ARGV - 1]), ARGV[#ARGV]
end
