local x = = 
